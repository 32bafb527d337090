"""The report page: one HTML file that holds what results, items and maps say, and needs nothing else."""
