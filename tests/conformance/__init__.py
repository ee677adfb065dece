"""The numbered statements of the standard, the lines that obey them, the tests that prove them, and what joins the three."""
