"""Any bytes give events or one error of rdbtool's, whatever reads them."""
