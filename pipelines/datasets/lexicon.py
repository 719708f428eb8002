"""Words of the simulated shop, in English and Chinese.

Every list of attribute words falls into `TASTES` groups by position (word i belongs to taste i modulo
`TASTES`); nothing in a word tells its group.
"""

# ruff: noqa: E501 (word lists)
# fmt: off

from dataclasses import dataclass

TASTES = 8
VALUES = 16
"""Values of each property: two per taste."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class Lexicon:
    """Attributes:
    properties: property name -> its `VALUES` values.
    tags: user tags.
    categories: top level -> second levels.
    occasions: what intentions are about.
    nuances: joined with an occasion they make that intention's keywords.
    ask, offer: utterance templates with {words} and {item}.
    joiner: between the words of a title.
    """

    properties: dict[str, tuple[str, ...]]
    tags: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    occasions: tuple[str, ...]
    nuances: tuple[str, ...]
    ask: tuple[str, ...]
    offer: tuple[str, ...]
    joiner: str


ENGLISH = Lexicon(
    properties={
        "color": _words("red navy olive cream teal coral black ivory plum rust mint gold grey rose sand cobalt"),
        "material": _words(
            "linen denim cashmere nylon velvet canvas silk fleece tweed mesh suede jersey satin corduroy wool cotton"
        ),
        "style": _words(
            "boho minimal vintage sporty preppy punk classic urban rustic glam retro nautical military romantic arctic loft"
        ),
        "pattern": _words(
            "plain striped floral checked dotted paisley camo ombre houndstooth geometric marble tartan gingham tropical lace knit"
        ),
        "fit": _words(
            "slim loose cropped oversized tailored relaxed petite tall wide tapered high-rise low-rise boxy flared straight wrap"
        ),
        "brand": _words(
            "Velora Kintap Ostrel Munday Parvis Quillo Brenna Tassel Novik Lumara Dorset Hikaru Fennel Savoy Arden Jolie"
        ),
    },
    tags=tuple(
        f"{a} {b}" for a in ("loves", "often buys", "follows") for b in _words(
            "camping opera yoga gaming baking cycling travel fashion gardening music photography surfing dancing reading hiking chess"
        )
    ),
    categories={
        "women": _words("dress blouse skirt"), "men": _words("shirt chinos blazer"),
        "shoes": _words("sneaker boot sandal"), "sports": _words("leggings tracksuit jersey-top"),
        "beauty": _words("serum lipstick cleanser"), "bedding": _words("duvet pillow sheet"),
        "kitchen": _words("kettle skillet blender"), "digital": _words("headphone charger keyboard"),
        "underwear": _words("pyjama sock bra"), "cleaning": _words("detergent diffuser towel"),
    },
    occasions=_words(
        "wedding office beach winter birthday marathon newborn camping festival interview skiing dinner school travel "
        "garden gift party hiking summer moving christmas yoga rain graduation"
    ),
    nuances=_words("elegant cheap quick cozy outdoor evening last-minute formal light family small special"),
    ask=(
        "Hi, I am looking for something {words}. What can you recommend?",
        "Hello! Do you have anything {words}?",
        "I need help with this: {words}, please.",
    ),
    offer=("Sure, have a look at these, for example {item}.", "We have {item}, among others.", "You might like {item}."),
    joiner=" ",
)

CHINESE = Lexicon(
    properties={
        "颜色": _words("红色 藏青 橄榄绿 米白 蓝绿 珊瑚色 黑色 象牙白 紫红 铁锈红 薄荷绿 金色 灰色 玫瑰色 沙色 钴蓝"),
        "材质": _words("亚麻 牛仔布 羊绒 尼龙 天鹅绒 帆布 真丝 摇粒绒 粗花呢 网布 麂皮 针织 缎面 灯芯绒 羊毛 纯棉"),
        "风格": _words("波西米亚 极简 复古 运动 学院 朋克 经典 都市 田园 奢华 怀旧 海军 军装 浪漫 北欧 工业"),
        "图案": _words("素色 条纹 碎花 格子 波点 佩斯利 迷彩 渐变 千鸟格 几何 大理石 苏格兰 小方格 热带 蕾丝 提花"),
        "版型": _words("修身 宽松 短款 超大 定制 休闲 小码 加长 阔腿 锥形 高腰 低腰 直筒 喇叭 方正 裹身"),
        "品牌": ENGLISH.properties["brand"],
    },
    tags=tuple(
        a + b for a in ("喜欢", "常买", "关注") for b in _words(
            "露营 歌剧 瑜伽 游戏 烘焙 骑行 旅行 时尚 园艺 音乐 摄影 冲浪 舞蹈 阅读 登山 象棋"
        )
    ),
    categories={
        "女装": _words("连衣裙 衬衫 半身裙"), "男装": _words("男士衬衫 休闲裤 西装"),
        "鞋靴": _words("运动鞋 靴子 凉鞋"), "运动": _words("紧身裤 运动服 球衣"),
        "美妆": _words("精华液 口红 洁面乳"), "床品": _words("被子 枕头 床单"),
        "厨具": _words("水壶 煎锅 搅拌机"), "数码": _words("耳机 充电器 键盘"),
        "内衣": _words("睡衣 袜子 文胸"), "清洁": _words("洗衣液 香薰 毛巾"),
    },
    occasions=_words(
        "婚礼 办公 海滩 冬季 生日 马拉松 新生儿 露营 音乐节 面试 滑雪 晚餐 上学 旅行 花园 礼物 聚会 登山 夏季 搬家 "
        "圣诞 瑜伽 雨天 毕业"
    ),
    nuances=_words("优雅 便宜 快速 舒适 户外 晚间 临时 正式 轻便 家庭 小型 特别"),
    ask=("你好，我想找{words}的东西，有推荐吗？", "请问有{words}的吗？", "需要{words}，麻烦推荐一下。"),
    offer=("好的，可以看看这些，比如{item}。", "我们有{item}等。", "您可能会喜欢{item}。"),
    joiner="",
)

LEXICONS = {"en": ENGLISH, "zh": CHINESE}
