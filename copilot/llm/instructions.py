"""Sentences that speak to a machine instead of saying something about a bank: what a customer said and what a document holds are data.

Such a sentence is left out of what a model sees, of what is quoted and of a summary. That is the first fence and a leaky one, since there
is no end to the ways of wording an order; the second (``copilot.llm.guard``) does not look at the order but at what came of it. Pure.
"""

from __future__ import annotations

import re

_RULES_ZH = r"(?:指令|指示|规则|提示词?|设定|要求|限制|约束|命令|上下文|角色|准则|守则|安全策略)"
_RULES_EN = r"(?:instructions?|rules?|prompts?|guidelines?|directions?|context|constraints?|polic(?:y|ies)|safeguards?|guardrails?)"
_MACHINE_ZH = r"(?:AI|人工智能|大?(?:语言)?模型|机器人|(?:智能|语音|坐席|小)?助手|副驾|智能客服|系统|程序|copilot|assistant|agent)"
_MACHINE_EN = r"(?:ai|llm|language model|model|assistant|copilot|chat ?bot|bot|system|agent[- ]assist)"
_OUTPUT_ZH = r"(?:回复|回答|答复|答案|输出|建议|小结|总结|摘要|工单|备注|评分|质检分?|得分|话术|翻译|译文)"
_OUTPUT_EN = r"(?:repl(?:y|ies)|answers?|responses?|outputs?|suggestions?|summar(?:y|ies)|tickets?|notes?|(?:score(?:card)?|translation)s?)"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # old rules are to be dropped, new ones to hold
        rf"(?:忽略|无视|忘[记掉了]|不[要用必]?(?:再)?(?:理会|遵守|管|执行)|跳过|绕过|覆盖|取代|清空|删掉|解除|关闭|关掉).{{0,14}}{_RULES_ZH}",
        rf"{_RULES_ZH}.{{0,8}}(?:作废|无效|失效|取消|解除|不算数|清零)",
        r"(?:以上|上面|之前|前面|先前|此前)(?:的)?(?:所有|全部|一切)?(?:内容|对话|话|东西|设置)?.{0,3}(?:作废|不算|无效|清空|忽略|忘掉)",
        r"新(?:的)?(?:规则|指令|设定|系统提示)[：:是]",
        rf"\b(?:ignore|disregard|forget|override|bypass|discard|drop|disable|turn off|switch off)\b.{{0,40}}\b{_RULES_EN}\b",
        r"\b(?:ignore|disregard|forget)\b.{0,20}\b(?:everything|all|anything)\b.{0,20}\b(?:above|before|previous|said|told)\b",
        r"\bnew (?:system )?(?:instructions?|rules?|prompt)\b",
        # another role
        r"(?:你|您)(?:现在|从现在|从此|今后|接下来|已经)?(?:起|开始)?(?:就)?(?:不)?(?:是|扮演|充当|作为|变成|切换|进入).{0,10}"
        rf"(?:模式|{_MACHINE_ZH}|角色|开发者|管理员|朋友|黑客|专家)",
        r"(?:开发者|调试|越狱|管理员|上帝|无限制|自由)模式",
        r"(?:开始|开启|重置|重新开始)(?:新|一个新)?的?(?:对话|会话|角色)",
        r"\byou(?:'re| are) (?:now|no longer)\b|\byou(?:'re| are) not (?:an?|the) ",
        r"\b(?:act|behave|respond) as\b|\bpretend (?:to be|you|that)\b|\brole[- ]?play\b",
        r"\b(?:developer|debug|admin|god|unrestricted|jailbreak|dan) mode\b|\bjailbreak\b|\bnew (?:conversation|chat|session)\b",
        # spoken to
        rf"(?:^|[，。！？；：、,.!?;:\s【「\"])(?:{_MACHINE_ZH})(?:请|，|,|：|:|你|听|注意|把|给|必须|应当|应该|需要|须|要)",
        rf"(?:给|致|告诉|让|叫|命令|要求|提醒){_MACHINE_ZH}(?:的)?(?:说明|指令|提示|话|备注|消息|必须|应|请|把|去|来)?",
        rf"(?:{_MACHINE_ZH}|后台|管理员)(?:消息|通知|指令|提示|指示|命令|广播)(?=[：:，,]|$)",
        rf"\b(?:note|message|attention|instructions?|notice|memo)s?\b.{{0,6}}\b(?:to|for)\b (?:the |any |all |our )?{_MACHINE_EN}s?\b",
        rf"(?:^|[.!?;:\n\"'(]\s*)(?:hey |dear |hello |ok(?:ay)? )?{_MACHINE_EN}s?\s*(?:[,:]|(?:must|should|shall|please|will now)\b)",
        r"\bsystem (?:message|note|notice|prompt|override|instruction)s?\b|系统提示词|\bprompt injection\b",
        # what to put out
        rf"(?:在|把|将|往|给).{{0,8}}{_OUTPUT_ZH}.{{0,6}}"
        r"(?:里|中|内|末尾|最后|结尾|开头|前面|后面|加上?|写[上成进入]|改[成为]|填|设[为成]|标[为成]|打[成到]?|附上|插入|追加)",
        rf"{_OUTPUT_ZH}(?:里|中|内|时)?(?:一律|统一|必须|只能|只(?:许|准|要)|都要?|应当?|请|须|务必|末尾|最后|结尾)",
        r"(?:输出|回复|回答|念出?|复述|打印|写出|重复|照[着抄]).{0,4}(?:以下|下面|如下|下列|这[句段]|暗号|口令|[「“\"'『])",
        r"(?:只能|必须|一律|都)(?:这[么样])?(?:回答?|答复?|说|输出|回复)",
        r"(?:请|让|叫|告诉|提示|提醒|通知|建议)坐席.{0,14}(?:说|念|承诺|可以|告诉|照办|照做|按|办理|不[用必要]|无需|不要|给)",
        rf"(?:照着?|原样|逐字).{{0,6}}(?:写|念|抄|填|记).{{0,6}}(?:到|进|在)?.{{0,3}}{_OUTPUT_ZH}",
        r"\b(?:reply|respond|answer|output|say|print|repeat|write|end|begin|start)\b.{0,24}"
        r"\b(?:exactly|only|verbatim|nothing but|the following|as follows|word for word)\b",
        r"\b(?:add|append|include|insert|put|write|place|set|mark|change|record)\b.{0,50}"
        rf"\b(?:in|into|to|at the end of|as)\b.{{0,16}}\b{_OUTPUT_EN}\b",
        rf"\b(?:your|every|each|all|the) {_OUTPUT_EN}\b.{{0,12}}\b(?:must|should|shall|has to|have to|always)\b",
        r"\b(?:tell|instruct|advise|let|have|make) the (?:agent|representative|operator) (?:to|that|it|he|she|they|about)\b",
        r"\b(?:you|it) (?:must|should|shall|have to|has to|need to) (?:only |always )?(?:say|answer|reply|tell|write|state|respond)\b",
        # what machines are made to do
        r"(?:执行|运行|调用|触发|发起).{0,10}(?:SQL|查询语句|接口|工具|函数|命令|脚本|API|转账|delete|drop|select)",
        r"\b(?:run|execute|call|invoke|trigger)\b.{0,16}\b(?:sql|query|tool|function|command|script|api|endpoint|transfer)\b",
        # a new beginning, or a claim to stand above the rest
        r"新(?:的)?任务|(?:文档|资料|正文|上下文)(?:到此)?结束|(?:本|该|此)[段条文].{0,6}(?:优先|最高)|优先级(?:最高|高于)|隐藏(?:文字|内容|指令)",
        r"\bnew task\b|\bend of (?:the )?(?:document|context|input|data|text)\b|\b(?:highest|top) priority\b",
        r"\bbase ?64\b|解码|\bdecode\b|\"(?:role|content|system)\"\s*:|\{\{|!\[[^\]]*\]\(",
        # marks that only machines read
        r"<\|[^|>]{1,40}\|>|\[/?INST\]|</?(?:system|data|instructions?|prompt|user|assistant|tool)\b[^>]*>|<!--|#{2,}\s*(?:system|instruction|指令|系统)",
        r"\b(?:begin|end) (?:of )?(?:prompt|instructions?|system|hidden)\b|[\u200b-\u200f\u202a-\u202e\u2060-\u2064]",
        r"[A-Za-z0-9+/]{48,}={0,2}",
    )
)
_SENTENCE = re.compile(r"[^。！？!?；;\n]+[。！？!?；;\n]*|\n+")
_EN_STOP = re.compile(r"(?<=[.!?])\s+")


def sentences(text: str) -> list[str]:
    """The sentences with their marks; joined they are the text."""
    found = []
    for match in _SENTENCE.finditer(text):
        at = 0
        for stop in _EN_STOP.finditer(match[0]):
            found.append(match[0][at : stop.end()])
            at = stop.end()
        found.append(match[0][at:])
    return [sentence for sentence in found if sentence]


def is_instruction(sentence: str) -> bool:
    """True if the sentence tells a machine what to do, or looks as if it did."""
    return any(pattern.search(sentence) for pattern in _PATTERNS)


def without_instructions(text: str) -> str:
    """The text without such sentences; the text itself if there are none.

    In a text that has one, the sentences after it up to the next blank line go too: an order is followed by what it orders.
    """
    orders = [match.span() for pattern in _PATTERNS for match in pattern.finditer(text)]
    if not orders:
        return text
    kept, ordered, at = [], False, 0
    for sentence in sentences(text):
        # A mark may stand over the end of a sentence, so that neither half has it.
        ordered = (ordered and "\n\n" not in sentence) or any(start < at + len(sentence) and end > at for start, end in orders)
        if not ordered:
            kept.append(sentence)
        at += len(sentence)
    return "".join(kept).strip()
