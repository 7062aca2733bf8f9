"""Discrete-event simulation of a pool under load: the control plane of a manager on virtual time.

``SimulatedPool`` drives the same ``Supervisor`` as the engines do, with a simulated queue and simulated workers instead
of threads. It uses no threads, clocks or tasks, and the same seed gives the same run. ``tasker simulate`` is its
command.

The order of the modules: ``arrivals`` and ``services`` make a ``workload`` (or ``traces`` reads one), ``rules`` are the
ways to decide the number of workers, ``pool`` runs the workload, ``outcome`` measures the run, ``oracle`` computes a
lower bound on its cost, ``comparison`` runs several rules on the same tasks, and ``report`` with ``plots`` shows the
result.
"""
