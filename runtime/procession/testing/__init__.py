"""What users test their flows and journals with, as we do."""
