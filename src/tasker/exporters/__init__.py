"""What shows a manager to other systems: ``tasker.exporters.prometheus`` and ``tasker.exporters.otel``, each with its extra."""
