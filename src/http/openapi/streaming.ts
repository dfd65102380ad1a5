import { operation } from './operation.ts'

/** The documentation of the routes that go on: rows in a stream, messages on a socket. */
export const STREAMING_DETAIL = {
  stream: operation({
    tag: 'Models',
    summary: 'Predict row by row, as rows come',
    description:
      'The body is a JSON array of rows, `{"input": rows}`, or lines of JSON (`application/x-ndjson`), of any length. Each row is answered ' +
      'with one event as soon as it is computed, in order: lines of JSON, or server-sent events where `Accept` names `text/event-stream`. ' +
      'A row that is wrong is answered with its failure, and the others go on.',
    permission: 'model:<name>:predict',
    body: {
      schema: 'StreamRequest',
      otherType: 'application/x-ndjson',
      examples: {
        iris: [
          [5.1, 3.5, 1.4, 0.2],
          [6.7, 3.0, 5.2, 2.3],
        ],
      },
    },
    answer: {
      description: 'One event a row',
      schema: 'StreamEvent',
      contentType: 'application/x-ndjson',
      otherType: 'text/event-stream',
      example: { row: 0, output: { label: 'setosa', probabilities: { setosa: 0.98, versicolor: 0.02, virginica: 0 } } },
    },
    failures: [404, 415, 429, 503],
  }),
  live: operation({
    tag: 'Models',
    summary: 'Predict over a WebSocket',
    description:
      'One message in, one out. A text is `{"input": rows}` or an inference request; a binary message is the length of the JSON in four ' +
      'bytes, little-endian, the JSON of an inference request, and its binary tensor data. The connection ends with its token.',
    permission: 'model:<name>:predict',
    answer: { description: 'The connection is a WebSocket from here on', status: 101 },
    failures: [404, 426, 503],
  }),
}
