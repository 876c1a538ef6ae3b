"""The cost server: what AWS systems cost, and where money is wasted."""
