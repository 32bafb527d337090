"""Pictures of items: a map over its photograph, attended and relevant regions, annotated shapes."""
