// @ts-nocheck: Node runs this as it is.
// openai for JavaScript, which asks for base64 unless it is told otherwise.
import OpenAI from 'openai'
import { BASE, BUSY, failure, OTHER, TOKEN, tell, WRONG } from './seen.mjs'

const client = ({ baseURL = `${BASE}/v1`, apiKey = TOKEN } = {}) => new OpenAI({ baseURL, apiKey, maxRetries: 0 })
const embed = (of, more = {}) => of.embeddings.create({ model: 'minilm', input: ['good', 'bad'], ...more })

const [standard, floats] = [await embed(client()), await embed(client(), { encoding_format: 'float' })]
const near = standard.data.every(({ embedding }, index) =>
  embedding.every((number, place) => Math.abs(number - floats.data[index].embedding[place]) < 1e-6),
)
const models = []
for await (const { id } of client().models.list()) models.push(id)
tell({
  near,
  length: standard.data[0].embedding.length,
  usage: [standard.usage.prompt_tokens, standard.usage.total_tokens],
  models,
  wrong: await failure(() => embed(client({ apiKey: WRONG }))),
  other: await failure(() => embed(client({ apiKey: OTHER }))),
  unknown: await failure(() => embed(client(), { model: 'nothing' })),
  busy: await failure(() => embed(client({ baseURL: `${BUSY}/v1` }))),
  ids: await failure(() => embed(client(), { input: [[5, 6]] })),
})
