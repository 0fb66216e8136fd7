"""What is found and what stays. Every number and name here is invented."""

from __future__ import annotations

import pytest

from copilot.privacy.context import asked_kinds
from copilot.privacy.find import find_pii

FOUND = [
    ("我的卡号是6222 0212 3456 7890 123", [("卡号", "6222 0212 3456 7890 123")]),
    ("卡号六二二二零二一二三四五六七八九零幺二三一共三千块", [("卡号", "六二二二零二一二三四五六七八九零幺二三")]),
    ("六二二二，零二一二，三四五六，七八九零", [("卡号", "六二二二，零二一二，三四五六，七八九零")]),
    ("卡号６２２２０２１２３４５６", [("卡号", "６２２２０２１２３４５６")]),
    ("尾号是三六七八的卡昨天刷了三千块", [("尾号", "三六七八")]),
    ("尾号3678消费3000元", [("尾号", "3678")]),
    ("最后四位是三六七八", [("尾号", "三六七八")]),
    ("手机号码是幺三八零零一三八零零零吗", [("手机号", "幺三八零零一三八零零零")]),
    ("13800138000", [("手机号", "13800138000")]),
    ("138 0013 8000", [("手机号", "138 0013 8000")]),
    ("+86 138-0013-8000", [("手机号", "86 138-0013-8000")]),
    ("电话0571-87654321", [("手机号", "0571-87654321")]),
    ("身份证号11010519491231002X", [("身份证", "11010519491231002X")]),
    ("一一零一零五一九四九一二三一零零二叉", [("身份证", "一一零一零五一九四九一二三一零零二叉")]),
    ("110105194912310029是我的", [("身份证", "110105194912310029")]),
    ("验证码是 482913", [("验证码", "482913")]),
    ("背面的CVV是 123", [("安全码", "123")]),
    ("我的密码是 135790", [("密码", "135790")]),
    ("密码是abc12345", [("密码", "abc12345")]),
    ("我叫王小明想问一下", [("姓名", "王小明")]),
    ("我叫欧阳小明", [("姓名", "欧阳小明")]),
    ("我姓张", [("姓名", "张")]),
    ("您是李建国先生吗", [("姓名", "李建国")]),
    ("王先生您好", [("姓名", "王")]),
    ("我叫阿依古丽·买买提", [("姓名", "阿依古丽·买买提")]),
    ("姓名张伟，手机13912345678", [("姓名", "张伟"), ("手机号", "13912345678")]),
    ("我住在浙江省杭州市西湖区文三路12号3栋402室", [("地址", "浙江省杭州市西湖区文三路12号3栋402室")]),
    ("账单地址是北京市朝阳区建国路88号", [("地址", "北京市朝阳区建国路88号")]),
    ("我的邮箱是 wang.xm@example.com", [("邮箱", "wang.xm@example.com")]),
    ("My card number is 4111 1111 1111 1111, thanks", [("卡号", "4111 1111 1111 1111")]),
    ("card ending in three six seven eight", [("尾号", "three six seven eight")]),
    ("six two two two double zero one two three four five six", [("卡号", "six two two two double zero one two three four five six")]),
    ("my name is John Smith and my phone number is 415-555-0123", [("姓名", "John Smith"), ("手机号", "415-555-0123")]),
    ("This is for Mr. Zhao", [("姓名", "Zhao")]),
    ("I live at 221 Baker Street", [("地址", "221 Baker Street")]),
    # said, misheard, put right
    ("伟号是三六七八", [("尾号", "三六七八")]),
    ("燕正吗是四八二九幺三", [("验证码", "四八二九幺三")]),
    ("手机号幺三八，嗯，零零久三，二腰六五", [("手机号", "幺三八，嗯，零零久三，二腰六五")]),
    ("卡号六二两个五，八四八八，三个零一，二五六四八", [("卡号", "六二两个五，八四八八，三个零一，二五六四八")]),
    ("手机号八七，哦不是，幺三九零零零零五六七八", [("手机号", "八七"), ("手机号", "幺三九零零零零五六七八")]),
    ("my PIN is four four oh won", [("密码", "four four oh won")]),
    ("call me on two one two, um, five five five, oh one double four", [("手机号", "two one two, um, five five five, oh one double four")]),
    ("card ending in forty two seventeen", [("尾号", "forty two seventeen")]),
    ("身份证后四位零零二叉", [("尾号", "零零二叉")]),
    # what has letters
    ("车牌是粤B幺二三I八", [("车牌", "粤B幺二三I八")]),
    ("车牌民B八I二K五", [("车牌", "民B八I二K五")]),
    ("my plate is Q I C oh two four", [("车牌", "Q I C oh two four")]),
    ("护照号EI八八五幺六七八", [("护照", "EI八八五幺六七八")]),
    ("邮箱xiaoyu二零艾特example点com", [("邮箱", "xiaoyu二零艾特example点com")]),
    ("it's t dot fenwick at example dot com", [("邮箱", "t dot fenwick at example dot com")]),
    ("产品代码HS479497", []),
    ("你的版本是A293169吗", []),
    # names and places
    ("给我女儿任雨桐，在国外上学", [("姓名", "任雨桐")]),
    ("刚才有个自称唐秀兰的人", [("姓名", "唐秀兰")]),
    ("是弓长张还是立早章", [("姓名", "弓长张"), ("姓名", "立早章")]),
    ("谢谢陈先生", [("姓名", "陈")]),
    ("现在住稻香公寓十八栋三单元三一零四室", [("地址", "稻香公寓十八栋三单元三一零四室")]),
    ("sixty four Juniper Road, flat four", [("地址", "sixty four Juniper Road, flat four")]),
]


@pytest.mark.parametrize(("text", "expected"), FOUND, ids=[text for text, _ in FOUND])
def test_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(span.type, text[span.start : span.end]) for span in find_pii(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "我要转五万块到工行",
        "我的信用卡昨天被人刷了三千块，不是我刷的",
        "一万二千三百四十五块六",
        "密码错误3次就锁了",
        "请拨打95588或者400-123-4567",
        "客服电话是95588",
        "报警请打110或者96110",
        "2026年11月22日消费了1,234.56元",
        "二零二六年一月一号开始",
        "手机银行转账5000可以吗",
        "手机银行限额50000元",
        "I was charged 3,000,000 yuan on 2026-11-22",
        "金额是12345678901.50元",
        "分12期每期手续费0.6%，近似年化利率百分之十三点一二",
        "我今年25岁，在2010年开的户",
        "这位先生请稍等，各位女士",
        "我叫你帮我查一下",
        "按姓名和证件号查到账户后办理",
        "网点在人民路",
        "普通挂失补卡工本费十五元，金卡及以上免收",
        "this is the bank, one of two or three options",
        "订单号202611220001234",
        "那个短信是从一零六九开头的号发来的",
        "卡号报一下，您取1809号就行",
        "高先进的机器，于是我就想试试，马上来，钱都准备好了",
        "李宁店旁边，长安街网点，十八点十五分开门",
        "滨江支行地址是江南大道588号",
        "还在犹豫期里，十二号之前申请的话",
        "Three wrong PINs in a row lock the card for five to seven days",
        "I'm calling about Apple Pay in Hong Kong",
        "那一天，我们从三点到四点都在",
        "工单号二零二六一一二二零零零幺二三四处理了吗",
    ],
)
def test_left_alone(text: str) -> None:
    assert [(span.type, text[span.start : span.end]) for span in find_pii(text)] == []


def test_the_value_is_the_same_however_it_is_written() -> None:
    written = [
        "13800138000",
        "138 0013 8000",
        "幺三八零零幺三八零零零",
        "一三八，零零一三，八零零零",
        "one three eight double zero one three eight triple zero",
    ]
    assert {find_pii(text)[0].value for text in written} == {"13800138000"}


def test_check_digits_raise_the_confidence_but_do_not_decide() -> None:
    right, wrong = find_pii("4111111111111111")[0], find_pii("4111111111111112")[0]
    assert right.type == wrong.type == "卡号"
    assert right.confidence > wrong.confidence


def test_a_bare_answer_is_understood_when_it_was_asked_for() -> None:
    assert find_pii("三六七八") == []
    assert [span.type for span in find_pii("三六七八", "尾号")] == ["尾号"]
    assert find_pii("三千块", "尾号") == []
    assert [span.type for span in find_pii("嗯，王小明", "姓名")] == ["姓名"]
    assert find_pii("好的", "姓名") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("请报一下您的卡号后四位", "尾号"),
        ("麻烦提供一下预留手机号", "手机号"),
        ("请问您贵姓？", "姓名"),
        ("Could you tell me your card number?", "卡号"),
        ("您的快递单号呢", "编号"),
        ("您的手机", "手机号"),
        ("好的", None),
    ],
)
def test_what_a_line_asks_for(text: str, kind: str | None) -> None:
    assert asked_kinds(text, "agent") == (() if kind is None else (kind,))


def test_a_customer_who_speaks_of_a_card_has_not_asked_for_its_number() -> None:
    assert asked_kinds("我的银行卡被盗刷了", "customer") == ()


def test_an_id_of_a_region_without_a_county_is_found_and_breaks_nothing():
    # 424711: no county in python-stdnum's table of regions, at which its validation raises KeyError.
    (span,) = find_pii("身份证号是424711384201012193", None)
    assert span.type == "身份证"
