"""Before the work: what would end it late (``checks``), what it will ask and cost (``costs``). No model is loaded."""
