"""State diagrams of the core, drawn by driving it: each event in each state, what is answered and what state follows."""
