"""Topic Names and Topic Filters that often meet: few levels, and words whose bytes surround '/' or begin others."""
from hypothesis import strategies as st

WORDS = st.sampled_from([b"", b"a", b"b", b"a-", b"a0", b"ab", b"$x", b"$", b"\xc3\xbc"])
NAMES = st.lists(WORDS, min_size=1, max_size=5).map(b"/".join).filter(bool)
FILTERS = st.builds(
    lambda levels, rest: b"/".join(levels + rest),
    st.lists(WORDS | st.just(b"+"), max_size=5), st.sampled_from([[], [b"#"]]),
).filter(bool)
