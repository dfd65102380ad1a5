/** A chain of two served models, which are asked at the same time. */
import { model, t, text } from 'vestal/model'

export default model({
  description: 'Answers a customer: thanks or an apology, and how to plant what was bought',
  calls: ['reviews', 'flower-advice'],
  limits: { ms: 5000 },
  input: t.Object({ review: text({ max: 2000 }), sepal: t.Array(t.Number()), petal: t.Array(t.Number()) }),
  output: t.Object({ reply: t.String() }),
  async predict({ review, sepal, petal }, { call }) {
    const [[opinion], { species, advice }] = await Promise.all([
      call('reviews', [review]),
      call('flower-advice', { sepal, petal }),
    ])
    const first = opinion.label === 'positive' ? 'Thank you!' : 'We are sorry.'
    return { reply: `${first} Your ${species} likes ${advice ?? 'what its label says'}.` }
  },
})
