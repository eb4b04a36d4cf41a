"""Results → what people read: findings in words and tables, the page, and the part of it to look at hits in."""
