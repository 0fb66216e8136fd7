"""Characters that a recogniser writes for others because they sound alike. Data and its lookup. Pure.

Taken from the pinyin (without tones) of the first level of GB 2312, 3755 common characters, not from any recogniser's errors. For digits
also ``shi`` for ``si`` (southern accents); left out are those that are units or scales themselves (十, 时, 室, 市, 亿 …).
"""

from __future__ import annotations

_SOUNDS = (
    "号壕嚎豪毫郝好耗浩貉", "卡喀咖", "尾威巍微危韦违桅围唯惟为潍维苇萎委伟伪纬未蔚味畏胃喂魏",
    "末摸摹蘑模膜磨摩魔抹莫墨默沫漠寞陌", "身砷申呻伸深娠绅神沈审婶甚肾慎渗什", "份芬酚吩氛分纷坟焚汾粉奋忿愤粪",
    "证蒸挣睁征狰争怔整拯正政症郑", "件歼监坚尖笺间煎兼肩艰奸缄茧检柬碱硷拣捡简俭剪减荐鉴践", "手收首守寿授售受瘦兽",
    "机击基肌饥激鸡绩缉吉极籍集及急疾即级挤几己季计记既际继纪寄技", "电颠掂滇碘点典靛垫佃甸店惦奠淀殿", "话花哗华猾滑画划化",
    "验焉咽阉烟淹盐严研蜒岩延言颜阎炎沿奄掩眼衍演艳堰燕厌砚", "码妈麻玛蚂马骂嘛吗", "密眯醚靡糜迷谜弥米秘觅泌蜜幂",
    "账长樟章彰漳张掌涨杖丈帐仗胀瘴障", "户呼乎忽瑚壶葫胡蝴狐糊湖弧虎唬护互沪", "车扯撤掣彻澈", "牌拍排徘湃派",
    "照招昭找沼赵罩兆肇召爪", "邮幽优悠忧尤由铀犹油游酉有友右佑釉诱又幼", "箱相厢镶香襄湘乡翔祥详想响享项巷橡像向象",
    "姓星腥猩惺兴刑型形邢行醒幸杏性", "名明螟鸣铭命", "字兹咨资姿滋淄孜紫籽滓子自渍", "后喉侯猴吼厚候",
    "前牵扦钎铅千迁签仟谦乾黔钱钳潜遣浅谴堑嵌欠歉", "背杯碑悲卑北辈贝钡倍狈备惫焙被", "面棉眠绵冕免勉娩缅", "安鞍氨俺按暗岸胺案",
    "全圈颧权醛泉痊拳犬券劝", "护呼乎忽瑚壶葫胡蝴狐糊湖弧虎唬互沪户", "编鞭边贬扁便变卞辨辩辫遍", "单耽担丹郸掸胆旦氮但惮淡诞弹蛋",
    "工攻功恭龚供躬公宫弓巩汞拱贡共", "订丁盯叮钉顶鼎锭定", "运耘云郧匀陨允蕴酝晕韵孕", "流溜琉榴硫馏留刘瘤柳六", "水谁睡税",
    "参餐蚕残惭惨灿掺", "考拷烤靠", "受收手首守寿授售瘦兽", "理厘梨犁黎篱狸离漓李里鲤礼莉荔吏栗丽厉励砾历利傈例俐痢",
    "栋东冬董懂动侗恫冻洞", "座琢昨左佐做作坐", "室匙师失狮施湿诗尸虱十石拾时食蚀实识史矢使屎驶始式示士",
    "元鸳渊冤垣袁原援辕园员圆猿源缘远苑愿怨院", "块筷侩快", "年蔫拈碾撵捻念辗",
    "先掀锨仙鲜纤咸贤衔舷闲涎弦嫌显险现献县腺馅羡宪陷限线", "生声甥牲升绳省盛剩胜圣",
    "士匙师失狮施湿诗尸虱十石拾时食蚀实识史矢使屎驶始式示世", "贵瑰规圭硅归龟闺轨鬼诡癸桂柜跪刽傀炔",
)  # fmt: skip
_ALIKE = {group[0]: group for group in _SOUNDS}

_DIGIT_SOUNDS = {
    "0": "令玲菱龄铃伶羚凌灵陵岭领另林",
    "1": "邀腰妖摇尧遥窑谣姚咬药要耀",
    "2": "而儿耳尔",
    "3": "伞散山删衫闪",
    "4": "斯撕嘶思私司丝死肆寺饲伺祀巳似是石师失诗式试使始世史",
    "5": "巫乌污屋无吾吴武午舞误务雾悟物",
    "6": "溜流留刘榴柳",
    "7": "期七欺栖戚妻漆其棋奇齐旗骑起启气汽器",
    "8": "芭扒叭吧疤巴拔把爸罢",
    "9": "揪究纠久灸酒救旧舅就",
}
DIGITS_BY_SOUND = {char: digit for digit, chars in _DIGIT_SOUNDS.items() for char in chars if char != "七"}
"""A character that may be a misheard digit, when digits stand around it."""
EVERYDAY = frozenset("要是就把吧期起其为使始试领另失刘林武石史师齐戚柳")
"""Of these, those that are words of every sentence, or surnames: they need a digit at once on either side."""
TOUCHING = EVERYDAY - frozenset("期刘林武石史柳")
"""Of these, those that belong to a number only if nothing at all stands between."""
FUNCTION_WORDS = frozenset("要是就把")
"""Of these, those that a number often follows."""
PROVINCES = (
    "荆兢茎睛晶鲸京惊精粳经井警景颈静境敬镜径痉靖竟竞净巾筋斤金今津襟紧锦仅谨进靳晋禁近烬浸尽劲呼乎忽瑚壶葫胡蝴狐糊湖弧虎唬护互沪"
    "户迂淤于盂榆虞愚舆余俞逾鱼愉渝渔隅予娱雨与屿禹宇语羽玉域芋郁遇喻峪御愈欲狱育誉浴寓裕预豫驭击圾基机畸稽积箕肌饥迹激讥鸡姬绩缉"
    "吉极棘辑籍集及急疾汲即嫉级挤几记计寄纪继既己季脊蓟技冀季伎祭剂悸济寄寂计记既忌际妓继纪藉耘云郧匀陨允运蕴酝晕韵孕撩聊僚疗燎寥辽撂镣廖料嘿黑"
    "相厢镶香箱襄湘乡翔祥详想响享项巷橡像向象豌弯湾玩顽丸烷完碗挽晚皖惋宛婉万腕芦卢颅庐炉掳卤虏鲁麓碌露路赂鹿潞禄录陆戮薪芯锌欣辛"
    "新忻心信衅苏酥俗素速粟僳塑溯宿诉肃遮折哲蛰辙者锗蔗这浙着干甘杆柑竿肝赶感秆敢赣蛾峨鹅俄额讹娥恶厄扼遏鄂饿瑰规圭硅归龟闺轨鬼诡"
    "癸桂柜跪贵刽傀炔萌蒙檬盟锰猛梦孟珊苫杉山删煽衫闪陕擅赡膳善汕扇缮民抿皿敏悯闽曰约越跃岳粤月悦阅青轻氢倾卿清擎晴氰情顷请庆苍舱"
    "仓沧藏川穿椽传船喘串柠狞凝宁拧泞琼穷"
)
"""What the short names of provinces sound like: the first character of a misheard licence plate."""
ENGLISH = {
    "for": "4", "fore": "4", "to": "2", "too": "2", "tu": "2", "won": "1", "wan": "1", "ate": "8", "sicks": "6", "sex": "6", "tree": "3",
    "free": "3", "fife": "5", "hive": "5", "nein": "9", "niner": "9", "knight": "9", "owe": "0", "o": "0", "zeroes": "0",
}  # fmt: skip
ENGLISH_EVERYDAY = frozenset({"for", "fore", "to", "too", "free", "tree", "hive", "owe", "o"})


def sounding(word: str) -> str:
    """The pattern of ``word`` and of whatever sounds like it: 卡号 → ``[卡咖喀][号好…]``."""
    return "".join(f"[{_ALIKE[char]}]" if char in _ALIKE else char for char in word)
