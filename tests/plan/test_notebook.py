"""Values as Jupyter shows them."""

from compound import ZOO, Budget, fit_budget
from compound.markup import html_table


def test_a_network_and_a_plan_show_their_tables() -> None:
    b0 = ZOO["efficientnet-b0"]
    shown = b0._repr_html_()
    assert shown.count("<tr>") == len(b0.table().splitlines()) - 1  # the title is a caption
    assert "<td>mbconv 5×5, expand 6, se 0.25, skip</td><td>14×14</td><td>112</td><td>3</td><td>1</td>" in shown
    plan = fit_budget(b0, Budget(macs=1e9))
    assert f"<td>macs</td><td>{plan.cost.macs / 1e6:.0f}M</td><td>1.00G</td>" in plan._repr_html_()


def test_what_strangers_named_is_escaped() -> None:
    assert "<script>" not in html_table("<script>", ("<b>",), [("<i>",)])
