/** A rule around a served model: who may answer, and what is sure enough. */
import { model, Refusal, t } from 'vestal/model'

const Centimetres = t.Number({ exclusiveMinimum: 0, maximum: 100 })
const ADVICE: Readonly<Record<string, string>> = {
  setosa: 'full sun, and little water',
  versicolor: 'wet feet, and some shade',
  virginica: 'a bog garden',
}

export default model({
  description: 'Says how to plant an iris, from its measurements in centimetres',
  calls: ['iris'],
  input: t.Object({ sepal: t.Tuple([Centimetres, Centimetres]), petal: t.Tuple([Centimetres, Centimetres]) }),
  output: t.Object({ species: t.String(), advice: t.Union([t.String(), t.Null()]) }),
  examples: [{ sepal: [5.1, 3.5], petal: [1.4, 0.2] }],
  async predict({ sepal, petal }, { call }) {
    if (petal[0] > sepal[0] * 2) throw new Refusal('no iris has petals twice as long as its sepals')
    const [flower] = await call('iris', [[...sepal, ...petal]])
    const species: string = flower.label
    const isSure = flower.probabilities[species] >= 0.8
    return { species, advice: isSure ? (ADVICE[species] ?? null) : null }
  },
})
