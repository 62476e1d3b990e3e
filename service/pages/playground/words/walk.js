// The step bar: from the terms of a score to the output.
export const WALK = {
  en: {
    "walk.bar": "Walk through the calculation",
    "walk.back": "Step back",
    "walk.on": "Step on",
    "walk.title": "Also with ← and →; Esc ends the walk",
    "walk.at": "{number}/{count}",
    "walk.said": "{pair}, {number} of {count}: {step}",
  },
  zh: {
    "walk.bar": "逐步演示计算",
    "walk.back": "后退一步",
    "walk.on": "前进一步",
    "walk.title": "也可用 ←、→；Esc 结束",
    "walk.at": "{number}/{count}",
    "walk.said": "{pair}，第 {number} 步，共 {count} 步：{step}",
  },
};
