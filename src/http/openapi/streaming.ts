import { operation, TIMEOUT } from './operation.ts'

/** The documentation of the routes that go on: rows in a stream, messages on a socket. */
export const STREAMING_DETAIL = {
  stream: operation({
    tag: 'Models',
    summary: 'Predict row by row, as rows come',
    description:
      'The body is lines of JSON (`application/x-ndjson`), each a row, of any length; a JSON array of rows or `{"input": rows}` is accepted as well, as `application/json`. ' +
      'Each row is answered with one event (`StreamEvent`) as soon as it is computed, in order: lines of JSON, or server-sent events where `Accept` names ' +
      '`text/event-stream`. A row that is wrong is answered with its failure, and the others go on.',
    permission: 'model:<name>:predict',
    parameters: [{ ...TIMEOUT, description: 'Milliseconds to wait for and run each row' }],
    body: {
      schema: 'StreamRequest',
      contentType: 'application/x-ndjson',
      examples: { iris: '[5.1, 3.5, 1.4, 0.2]\n[6.7, 3.0, 5.2, 2.3]\n' },
    },
    answer: {
      description: 'One event a row',
      schema: 'StreamEvents',
      contentType: 'application/x-ndjson',
      example: '{"row":0,"output":{"label":"setosa","probabilities":{"setosa":0.98,"versicolor":0.02,"virginica":0}}}\n',
    },
    failures: [404, 415, 429, 503],
  }),
  live: operation({
    tag: 'Models',
    summary: 'Predict over a WebSocket',
    description:
      'One message in, one out. A text is `{"input": rows}` or an inference request; a binary message is the length of the JSON in four ' +
      'bytes, little-endian, the JSON of an inference request, and its binary tensor data. The state of a model that has one goes from message to message. The connection ends with its token.',
    permission: 'model:<name>:predict',
    answer: { description: 'The connection is a WebSocket from here on', status: 101 },
    failures: [404, 426, 503],
  }),
}
