/** `vestal/model`: what a `model.ts` is written with. */
import { Type } from '@sinclair/typebox'

/** Builds schemas: `t.Object({ age: t.Integer({ minimum: 18 }) })`; typebox's `Type`. */
export const t: typeof Type = Type

export { CallError } from './call-error.ts'
export {
  type CallOptions,
  type Context,
  type Inputs,
  type ModelDefinition,
  model,
  type Outputs,
  type SetupContext,
} from './definition.ts'
export type { NumberList, Scored } from './math.ts'
export type { ModelTensor, Nested, TensorLike } from './model-tensor.ts'
export { Picture, type PictureBox, type PictureSize, type PictureTensorOptions } from './picture.ts'
export { Refusal, type RefusalOptions } from './refusal.ts'
export {
  type ImageOptions,
  image,
  type StandardSchema,
  type TextOptions,
  tensor,
  text,
  type ValueOf,
  type ValueSchema,
} from './schema.ts'
