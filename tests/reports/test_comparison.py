from mechscreen.reports.comparison import differences


def test_differences_are_those_keys_whose_values_differ_wherever_they_stand():
    first = {"name": "a", "results": "r", "seed": 1, "model": {"options": {"end": 5, "file": "x.ant"}}, "vary": ["k"]}
    second = {
        "name": "b",
        "results": "s",
        "seed": 1,
        "model": {"options": {"end": 6, "extra": None}},
        "vary": ["k", "m"],
    }
    assert differences(first, second) == [
        ("model.options.end", "5", "6"),
        ("model.options.file", "x.ant", "—"),
        ("model.options.extra", "—", "null"),
        ("vary", '["k"]', '["k", "m"]'),
    ]
    assert differences(first, first | {"name": "c"}) == []
