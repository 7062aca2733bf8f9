"""What a pool would do with a load: the control plane of a manager on virtual time.

``Simulation`` drives the same ``Supervisor`` as the engines do, with a simulated queue and simulated workers in place
of threads. Nothing here knows of threads, clocks or tasks; a seed makes each run the same. ``tasker simulate`` is its
command.

The order of the modules: ``arrivals`` and ``services`` make a ``workload`` (or ``traces`` reads one), ``rules`` names
who decides the number of workers, ``pool`` runs it, ``outcome`` measures it, ``oracle`` says what it had to cost,
``comparison`` puts these next to one another, and ``report`` with ``plots`` shows it.
"""
