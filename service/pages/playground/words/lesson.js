// The lesson: its panel, and the texts of its steps.
export const LESSON = {
  en: {
    "bar.learn": "Learn",
    "bar.learn_title": "Attention in ten steps, each with something to predict",
    "lesson.step": "Lesson, step {number} of {count}",
    "lesson.leave": "Leave",
    "lesson.previous": "Back",
    "lesson.next": "Next",
    "lesson.finish": "Finish",
    "lesson.look": "Go to: {part}",
    "lesson.covered": "Predict first",
    "lesson.predict": "Predict first:",
    "lesson.show": "Just show me",
    "lesson.check": "Check",
    "lesson.yours": "Your number: {number}",
    "lesson.right": "Right.",
    "lesson.wrong": "Not quite.",
    "lesson.edited": "The numbers are no longer those of this step.",
    "lesson.reset": "Reset this step",

    "lesson.attention.title": "What attention is",
    "lesson.attention.text":
      "Attention in a neural network imitates our own: some parts of the input get more weight and others less, so that the network looks at the few that matter. You play the support, and a team fight breaks out. You cannot look after all of them at once.",
    "lesson.attention.question": "Whom should the support attend to most?",
    "lesson.attention.said":
      "The largest weight is that of {key}: {weight}. The others share the rest, as the weights of a row add up to 1.",

    "lesson.features.title": "Query, key and value",
    "lesson.features.text":
      "The query Q is the signal that you send out: who needs me now? A key K describes a teammate: how much protection he needs, his damage, how near he is. A value V is what he has to tell you. Now the marksman gets to safety: his need for protection falls from 1.9 to 0.1.",
    "lesson.features.question": "What happens to the marksman’s weight?",
    "lesson.features.choice_0": "It rises",
    "lesson.features.choice_1": "It falls",
    "lesson.features.choice_2": "It stays",
    "lesson.features.said":
      "It went from {before} to {weight}. Your query is the same, but a key is not: {key} now matches best, with {largest}.",

    "lesson.score.title": "The score, term by term",
    "lesson.score.text":
      "A score says how well a query and a key match. The plainest is the dot product: multiply feature by feature, and add. The query is the first row of Q, the marksman’s key the first row of K.",
    "lesson.score.question": "What is the marksman’s score?",
    "lesson.score.said":
      "{sum} = {score}. Press ▶ beside “Why this number?” to walk from these terms to the output, step by step.",

    "lesson.scale.title": "Why the score is divided by √D",
    "lesson.scale.text":
      "These are random numbers: 2 queries and 8 keys with D = 64 features. Sums of 64 products are large, so that softmax gives nearly everything to one key, and hardly any gradient is left to learn from. The scaled dot product divides by √64 = 8.",
    "lesson.scale.question": "How large is the largest weight of the first query then?",
    "lesson.scale.choice_0": "Still 0.9 or more",
    "lesson.scale.choice_1": "Between 0.5 and 0.9",
    "lesson.scale.choice_2": "Less than 0.5",
    "lesson.scale.said":
      "It went from {before} to {weight}. Several keys have a say again, and the gradient does not vanish: the sensitivity of the softmax is now {sensitivity}, where 0 would mean none.",

    "lesson.normalizer.title": "From scores to weights",
    "lesson.normalizer.text":
      "The marksman is under attack: 70 points. The jungler takes his red buff: 15. Mid is healthy and unthreatened: 10. Top is farming: 5. Normalizing makes weights of these scores, which add up to 1; in proportion they are 0.70, 0.15, 0.10, 0.05. Usually it is done by softmax, with exponentials.",
    "lesson.normalizer.question": "What is the marksman’s weight by softmax?",
    "lesson.normalizer.choice_0": "0.70 again",
    "lesson.normalizer.choice_1": "About 0.85",
    "lesson.normalizer.choice_2": "Practically 1",
    "lesson.normalizer.said":
      "It is {weight}. Softmax goes by differences: {difference} points more are a factor of e to the power of {difference}. So its scores have to be small, which is what dividing by √D is for.",

    "lesson.mask.title": "The mask",
    "lesson.mask.text":
      "The marksman is back at base, and needs no attention at all. A mask hides his key: his score counts as −∞, and his weight is exactly 0.",
    "lesson.mask.question": "What happens to the share that he had?",
    "lesson.mask.choice_0": "It is lost; the others keep their weights",
    "lesson.mask.choice_1": "The others get equal parts of it",
    "lesson.mask.choice_2": "The others get it in proportion to their own",
    "lesson.mask.said":
      "He has {hidden}, and the weights of the others add up to 1, in the same ratios as before. The largest is that of {key}: it was {before}, and is {weight}.",

    "lesson.mix.title": "Mixing the values",
    "lesson.mix.text":
      "Scores decide how much attention goes to whom, values what it brings back: whether the marksman is in danger, whether the jungler goes for the dragon. The output is their average by weight, here 0.6·V(marksman) + 0.2·V(jungler) + 0.1·V(mid) + 0.1·V(top).",
    "lesson.mix.question": "With the first column of V, what is the first number of the output?",
    "lesson.mix.said": "{sum} = {output}. Each column of V is mixed with the same weights.",

    "lesson.query.title": "The same keys, another query",
    "lesson.query.text":
      "In the team fight the largest output is “protect”. Now the dragon is up. The support looks for something else, q = [0, 0.5, 1, 2]: the objective counts most. Keys and values stay as they are.",
    "lesson.query.question": "Which output is the largest now?",
    "lesson.query.said":
      "It is “{value}”, with {output}, as most attention goes to {key}: {weight}. The team is the same; what you look for is not.",

    "lesson.function.title": "Any function can score",
    "lesson.function.text":
      "The score a(q, k) may be any function that says how related q and k are: additive, vᵀ tanh(W_k k + W_q q); the dot product; the scaled one, which is the usual choice; or one of your own. Let us write a formula: minus the distance, −Σ|q − k|.",
    "lesson.function.question": "The marksman is still first. Who is second?",
    "lesson.function.said":
      "It is {key}: the weight was {before}, and is {weight}, for the second smallest distance to the query. Write another formula under “Score model”, and see.",

    "lesson.temperature.title": "Temperature, and the decision",
    "lesson.temperature.text":
      "That is all of it: score = QKᵀ/√d, weight = softmax(score), output = weight × V. One more knob: scores are divided by the temperature T first. With T = 1 the marksman has 70 %. The decision that this lesson ends with comes from 80 % for the marksman, 15 % for the jungler and 5 % for mid.",
    "lesson.temperature.question": "Which T gives the marksman about 80 %?",
    "lesson.temperature.choice_0": "One below 1",
    "lesson.temperature.choice_1": "One above 1",
    "lesson.temperature.choice_2": "None: T changes nothing",
    "lesson.temperature.said":
      "T = {temperature} gives him {weight}. The largest output is “{value}” ({output}), then comes “{next}” ({second}). As with 80/15/5 the decision is: protect the marksman first, then see whether you can join the jungler at the dragon.",
  },
  zh: {
    "bar.learn": "学习",
    "bar.learn_title": "十步学会注意力，每一步先猜再看",
    "lesson.step": "课程，第 {number} 步，共 {count} 步",
    "lesson.leave": "退出",
    "lesson.previous": "上一步",
    "lesson.next": "下一步",
    "lesson.finish": "完成",
    "lesson.look": "转到：{part}",
    "lesson.covered": "先猜一猜",
    "lesson.predict": "先猜一猜：",
    "lesson.show": "直接看答案",
    "lesson.check": "检查",
    "lesson.yours": "你的答案：{number}",
    "lesson.right": "对了。",
    "lesson.wrong": "不太对。",
    "lesson.edited": "数字已不是这一步的数字。",
    "lesson.reset": "重置这一步",

    "lesson.attention.title": "什么是注意力",
    "lesson.attention.text":
      "注意力机制模仿人的认知注意力：增强输入中某些部分的权重，减弱其他部分的权重，让网络聚焦于最重要的一小部分。你是辅助，团战爆发，不可能同时照看所有人。",
    "lesson.attention.question": "辅助最该关注谁？",
    "lesson.attention.said": "权重最大的是{key}：{weight}。其他人分剩下的，因为一行的权重加起来是 1。",

    "lesson.features.title": "查询、键和值",
    "lesson.features.text":
      "查询 Q 是你发出的信号：现在谁最需要我？键 K 描述每个队友的特征：多需要保护、伤害多高、离得多近。值 V 是他带来的信息。现在射手脱险了：他的“需要保护”从 1.9 降到 0.1。",
    "lesson.features.question": "射手的权重会怎样？",
    "lesson.features.choice_0": "变大",
    "lesson.features.choice_1": "变小",
    "lesson.features.choice_2": "不变",
    "lesson.features.said": "从 {before} 变为 {weight}。查询没有变，键变了：现在最匹配的是{key}，权重 {largest}。",

    "lesson.score.title": "得分：逐项相乘再相加",
    "lesson.score.text":
      "得分表示查询与键有多相关。最简单的打分函数是点积：特征逐个相乘，再相加。查询是 Q 的第一行，射手的键是 K 的第一行。",
    "lesson.score.question": "射手得多少分？",
    "lesson.score.said": "{sum} = {score}。按“这个数是怎么来的？”旁边的 ▶，可以从这些项一步一步走到输出。",

    "lesson.scale.title": "为什么要除以 √D",
    "lesson.scale.text":
      "这里是随机数：2 个查询和 8 个键，特征数 D = 64。64 个乘积之和很大，softmax 几乎把全部权重给了一个键，梯度消失，网络就学不动了。缩放点积除以 √64 = 8。",
    "lesson.scale.question": "除以 8 之后，第一个查询的最大权重是多少？",
    "lesson.scale.choice_0": "仍在 0.9 以上",
    "lesson.scale.choice_1": "0.5 到 0.9",
    "lesson.scale.choice_2": "不到 0.5",
    "lesson.scale.said":
      "从 {before} 变为 {weight}。几个键又都有了份额，梯度消失得到缓解：softmax 的敏感度现在是 {sensitivity}，0 表示没有梯度。",

    "lesson.normalizer.title": "从得分到权重",
    "lesson.normalizer.text":
      "射手正被露娜摸到，70 分；打野在刷红，15 分；中路健康、没人，10 分；上单在吃兵，5 分。归一化把得分变成权重，加起来是 1；按比例就是 0.70、0.15、0.10、0.05。常用的则是 softmax，要取指数。",
    "lesson.normalizer.question": "用 softmax，射手的权重是多少？",
    "lesson.normalizer.choice_0": "还是 0.70",
    "lesson.normalizer.choice_1": "约 0.85",
    "lesson.normalizer.choice_2": "几乎是 1",
    "lesson.normalizer.said":
      "是 {weight}。softmax 看的是差：多 {difference} 分，就是 e 的 {difference} 次方倍。所以交给 softmax 的得分不能太大，除以 √D 正是为此。",

    "lesson.mask.title": "掩码",
    "lesson.mask.text": "射手已经回城，可以完全不关注他。掩码遮住他的键：得分按 −∞ 算，权重恰好是 0。",
    "lesson.mask.question": "他原来的那份权重去了哪里？",
    "lesson.mask.choice_0": "没有了，其他人的权重不变",
    "lesson.mask.choice_1": "其他人平分",
    "lesson.mask.choice_2": "其他人按原来的比例分",
    "lesson.mask.said":
      "射手是 {hidden}，其他人的权重加起来是 1，彼此的比例和原来一样。最大的是{key}：从 {before} 变为 {weight}。",

    "lesson.mix.title": "按权重混合值",
    "lesson.mix.text":
      "得分决定分出多少注意力，值决定分出去的注意力带回什么：射手危不危险，打野开不开龙。输出是值按权重的加权平均，这里是 0.6·V射手 + 0.2·V打野 + 0.1·V中单 + 0.1·V上单。",
    "lesson.mix.question": "用 V 的第一列算，输出的第一个数是多少？",
    "lesson.mix.said": "{sum} = {output}。V 的每一列都用同样的权重混合。",

    "lesson.query.title": "同样的键，另一个查询",
    "lesson.query.text":
      "团战时，输出最大的是“保护”。现在龙刷新了，辅助的需求变了，q = [0, 0.5, 1, 2]，最看重控龙。键和值都不变。",
    "lesson.query.question": "现在哪个输出最大？",
    "lesson.query.said": "是“{value}”：{output}，因为最关注的是{key}，权重 {weight}。队友没有变，变的是你在找什么。",

    "lesson.function.title": "打分函数可以任选",
    "lesson.function.text":
      "得分 a(q, k) 可以是任何能刻画 q 与 k 相关性的函数：加性模型 vᵀ tanh(W_k k + W_q q)、点积模型、最常用的缩放点积模型，或者你自己写的公式。现在写一个：距离的相反数 −Σ|q − k|。",
    "lesson.function.question": "射手仍排第一，谁排第二？",
    "lesson.function.said":
      "是{key}：权重从 {before} 变为 {weight}，因为他离查询第二近。在“打分函数”里改写公式，看看会怎样。",

    "lesson.temperature.title": "温度与最后的决策",
    "lesson.temperature.text":
      "整个流程就是：score = QKᵀ/√d，weight = softmax(score)，output = weight × V。还有一个旋钮：得分先除以温度 T。T = 1 时射手占 70%。本课最后的决策来自：80% 射手、15% 打野、5% 中路。",
    "lesson.temperature.question": "T 取多少，射手约占 80%？",
    "lesson.temperature.choice_0": "小于 1",
    "lesson.temperature.choice_1": "大于 1",
    "lesson.temperature.choice_2": "T 不影响权重",
    "lesson.temperature.said":
      "T = {temperature} 时射手的权重是 {weight}。输出最大的是“{value}”（{output}），其次是“{next}”（{second}）。与 80/15/5 时一样，决策是：先守住射手，再看能不能接打野的龙团。",
  },
};
