//! What the memo forgets, and when.
