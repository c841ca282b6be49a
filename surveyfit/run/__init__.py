"""Many sources, many machines: configuration, plan, tasks, resume, cluster, pipeline."""
