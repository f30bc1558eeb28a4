"""The Korean report: wording, figures, documents, rendering."""
