import { Type } from '@sinclair/typebox'
import { byName, orNull, strict, text, words } from '../../schema/build.ts'
import { DATATYPES, type Datatype } from '../../tensor/datatypes.ts'

// What the codecs read and write, for the document: they check bodies themselves, without making objects of them first.

// The cast: these are the keys of the table.
export const DatatypeName = words(Object.keys(DATATYPES) as Datatype[])
export const Shape = Type.Array(Type.Integer(), { description: 'Row-major; -1 is a dimension of any size' })

const parameters = Type.Optional(orNull(byName(Type.Unknown()), 'Texts, numbers, true and false by name; null as absent'))
const Tensor = Type.Object({
  name: text('Name of the tensor'),
  shape: Shape,
  datatype: DatatypeName,
  parameters,
  data: Type.Optional(
    orNull(
      Type.Array(Type.Unknown()),
      'Elements in row-major order, flat or nested as the shape says. Integers of 64 bits are exact. BYTES are texts.',
    ),
  ),
})
const AskedOutput = Type.Object({ name: text('An output to compute'), parameters })

/** A body of a model with a task. */
export const TaskRequest = strict({
  input: Type.Unknown({ description: 'What the task works on: a text, a picture or sound in base64, or a list of these' }),
  parameters: Type.Optional(byName(Type.Unknown(), { description: 'How: the parameters of the task' })),
})

/** The documents of predictions, by name. */
export const PREDICT_SCHEMAS = {
  Datatype: DatatypeName,
  Tensor,
  PredictRequest: Type.Object({
    input: Type.Unknown({
      description:
        'Of a model with a task: a text, a pair, a query with texts, a picture in base64, or a list of these. Of tensors: a list of rows of the one input or of objects with a row of each input by its name, or an object with the rows of each; a scalar may stand alone',
    }),
    parameters: Type.Optional(
      byName(Type.Unknown(), {
        description: 'Of a model with a task: how its texts or pictures are worked on, by the names of the task',
      }),
    ),
  }),
  PredictAnswer: Type.Object({
    output: Type.Unknown({
      description: 'A list with one element a row, or an object with the rows of each output, as the input was',
    }),
  }),
  StreamRequest: text('Lines of JSON, each a row; their number has no limit'),
  StreamEvents: text('Lines of JSON, each a `StreamEvent`'),
  StreamEvent: Type.Object({
    row: Type.Integer({ description: 'Number of the row, from 0' }),
    output: Type.Optional(Type.Unknown({ description: 'What predict answers for the row' })),
    status_code: Type.Optional(Type.Integer({ description: 'In the place of an output: why there is none' })),
    detail: Type.Optional(Type.Unknown({ description: 'In the place of an output: what is wrong' })),
  }),
  InferRequest: Type.Object({
    id: Type.Optional(orNull(Type.String(), 'Told back in the answer')),
    inputs: Type.Array(Tensor),
    outputs: Type.Optional(orNull(Type.Array(AskedOutput), 'All outputs when absent or empty')),
    parameters,
  }),
  InferAnswer: Type.Object({
    model_name: text('Name'),
    model_version: text('Version'),
    id: Type.Optional(text('As it was asked')),
    outputs: Type.Array(Tensor),
  }),
}
