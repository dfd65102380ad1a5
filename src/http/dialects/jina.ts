import { Type } from '@sinclair/typebox'
import { strict, text } from '../../schema/build.ts'
import { shortScore } from '../../tasks/bodies/vector-json.ts'
import { rerank } from '../../tasks/text/classify.ts'
import { isObject } from '../../tensor/exact-json.ts'
import { fault, maybe, readFields, readTextList, whole } from './bodies.ts'
import type { Operation } from './operation.ts'
import { bestFirst } from './tei.ts'

/** Documents of one request, as Jina has it. */
const DOCUMENTS_MAX = 2048

const RerankRequest = strict({
  model: maybe(Type.String(), 'Name of the model; under `/models/<name>/` the path says it, and this counts for nothing'),
  query: Type.String({ description: 'What is looked for' }),
  documents: Type.Unknown({ description: `Up to ${DOCUMENTS_MAX} texts, or objects with \`text\`, in a list` }),
  top_n: maybe(whole(1), 'Documents in the answer; default all'),
  return_documents: maybe(Type.Boolean(), 'Gives each document back beside its score; default true'),
  truncation: maybe(Type.Boolean(), 'Cuts a document that is too long; default true. With false such a document is a 400.'),
})

interface Rerank {
  readonly query: string
  readonly documents: readonly string[]
  readonly countMax: number | undefined
  readonly hasDocuments: boolean
  readonly truncate: boolean
}

/** `POST /v1/rerank`. */
export const jinaRerank: Operation<Rerank> = {
  read(body) {
    const fields = readFields(RerankRequest, body)
    const { query, top_n: countMax, return_documents: hasDocuments = true, truncation: truncate = true } = fields
    return { query, documents: documentsOf(fields.documents), countMax, hasDocuments, truncate }
  },
  async answer({ query, documents, countMax, hasDocuments, truncate }, call, { model }) {
    const { scores, tokens } = await rerank(call, query, documents, { truncate })
    return JSON.stringify({
      model: model.name,
      usage: { total_tokens: tokens.reduce((sum, each) => sum + each, 0) },
      results: bestFirst(scores)
        .slice(0, countMax)
        .map(({ index, score }) => ({
          index,
          relevance_score: shortScore(score),
          ...(hasDocuments && { document: { text: documents[index] } }),
        })),
    })
  },
}

function documentsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw fault('documents', 'must be a list of texts, or of objects with "text"')
  const texts = value.map((document) => (isObject(document) ? document.text : document))
  return readTextList(texts, { field: 'documents', max: DOCUMENTS_MAX })
}

/** What the route of Jina takes and gives, by name. */
export const JINA_SCHEMAS = {
  JinaRerankRequest: RerankRequest,
  JinaRanks: Type.Object({
    model: text('Name of the model'),
    usage: Type.Object({ total_tokens: Type.Integer({ description: 'Tokens that the model got' }) }),
    results: Type.Array(
      Type.Object({
        index: Type.Integer({ description: 'Place of the document in the request' }),
        relevance_score: Type.Number(),
        document: Type.Optional(Type.Object({ text: text('The document') })),
      }),
      { description: 'Best first' },
    ),
  }),
  JinaFailure: Type.Object({ detail: text('What is wrong') }),
}
