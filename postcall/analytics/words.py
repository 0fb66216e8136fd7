"""The words of report files, in both languages. Pure."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "title": "客服洞察", "period": "时间", "compared": "对比", "team": "班组", "calls": "通话", "upset": "不满通话", "before": "上期",
        "overview": "概况", "by_day": "每日通话", "day": "日期", "emerging": "新增与上升", "topics": "工单主题", "drivers": "不满因素",
        "clusters": "问题聚类", "leads": "营销线索", "coaching": "辅导点", "gaps": "知识缺口", "kind": "类别", "name": "名称",
        "ratio": "占比之比", "interval": "95% 区间", "q": "q 值", "verdict": "趋势", "share": "占比", "others": "其余占比", "lift": "倍数",
        "agent": "坐席", "item": "质检项", "asked": "考核次数", "failed": "未通过", "peers": "其他坐席占比", "size": "聚类样本",
        "questions": "提问次数", "intent": "意图", "topic": "工单主题", "cluster": "问题聚类", "term": "关键词", "cause": "根因",
        "new": "新增", "rising": "上升", "falling": "下降", "steady": "平稳", "few": "数量少", "none": "本期没有。",
        "note": "趋势按每日离散度校正的精确检验并控制错误发现率（q ≤ 0.05）；不满因素只说明同时出现，不说明原因。",
        "rest": "文件只含数字与名称，不含通话原话。",
    },
    "en": {
        "title": "What the center learns", "period": "Period", "compared": "Compared with", "team": "Team", "calls": "Calls",
        "upset": "Upset calls", "before": "Before", "overview": "Overview", "by_day": "Calls by day", "day": "Day",
        "emerging": "New and rising", "topics": "Ticket topics", "drivers": "What goes with complaints", "clusters": "Problems alike",
        "leads": "Leads", "coaching": "Coaching points", "gaps": "Knowledge gaps", "kind": "Kind", "name": "Name",
        "ratio": "Ratio of shares", "interval": "95% interval", "q": "q", "verdict": "Trend", "share": "Share",
        "others": "Share of the others", "lift": "Lift",
        "agent": "Agent", "item": "Question", "asked": "Asked", "failed": "Failed", "peers": "Other agents", "size": "Calls in the sample",
        "questions": "Times asked", "intent": "Intent", "topic": "Topic", "cluster": "Problem", "term": "Keyword", "cause": "Cause",
        "new": "new", "rising": "rising", "falling": "falling", "steady": "steady", "few": "few", "none": "None in this period.",
        "note": "Trends: an exact test corrected for day-to-day clumping, false discoveries held to q ≤ 0.05. Drivers go together with "
        "complaints; that is not a cause.",
        "rest": "The file holds figures and names only, nothing that was said.",
    },
}  # fmt: skip
