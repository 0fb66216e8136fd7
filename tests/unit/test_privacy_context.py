"""What a call waits for after each line, and for how long."""

from __future__ import annotations

from copilot.privacy.context import CallContext, Said, heard


def after(*lines: tuple[str, str]) -> CallContext:
    context = CallContext()
    for channel, text in lines:
        context = heard(context, channel, text)
    return context


def test_a_question_is_waited_for_and_given_up() -> None:
    asked = ("agent", "请报一下您的身份证号")
    assert after(asked).kinds == ("身份证",)
    assert after(asked, *[("customer", "你等我找一找")] * 5).kinds == ("身份证",)
    assert after(asked, *[("customer", "你等我找一找")] * 6).kinds == ()


def test_nods_cost_nothing_and_another_question_ends_it() -> None:
    asked = ("agent", "请报一下您的身份证号")
    assert after(asked, *[("agent", "嗯，好的")] * 20).kinds == ("身份证",)
    assert after(asked, ("agent", "请再报一次")).kinds == ("身份证",)
    assert after(asked, ("agent", "到哪一年")).kinds == ()
    assert after(asked, ("agent", "快递单号呢")).kinds == ("身份证", "编号")


def test_several_things_are_asked_at_once() -> None:
    assert set(after(("agent", "请核对姓名和手机号")).kinds) == {"姓名", "手机号"}


def test_a_number_that_has_begun_goes_on_until_it_is_whole() -> None:
    begun = heard(CallContext(), "customer", "幺三八", [Said(kind="手机号", digits=3)])
    assert begun.awaited[-1].said == 3
    whole = heard(begun, "customer", "零零零零五六七八", [Said(kind="手机号", digits=8)])
    assert (whole.awaited[-1].said, whole.awaited[-1].left) == (0, 2)
    assert heard(heard(whole, "customer", "一二", ()), "customer", "那我问一下", ()).kinds == ()
