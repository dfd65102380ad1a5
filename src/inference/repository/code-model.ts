/** A folder with a `model.ts`: its code answers, and computes with the ONNX files beside it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { FoundCode, ModelDefinition } from './definition.ts'

/** File of a model's folder that holds code; a load request cannot carry it. */
export const CODE_FILE = 'model.ts'

export interface CodeFolder {
  readonly folder: string
  readonly definition: ModelDefinition
  /** Numbers of its versions' folders, newest first. */
  readonly numbers: readonly string[]
  /** Whether a load request brought a configuration for it. */
  readonly isConfigured: boolean
}

/** What a `model.ts` makes of its folder: one version, the newest, whose files the code may name. */
export function codeIn({ folder, definition, numbers, isConfigured }: CodeFolder) {
  const [version = '1'] = numbers
  const entry = join(folder, CODE_FILE)
  const file = [`${version}/model.onnx`, 'model.onnx', 'onnx/model.onnx'].find((path) => existsSync(join(folder, path)))
  const code: FoundCode = { entry, ...(file !== undefined && { file }) }
  const brought = isConfigured ? 'it has a model.ts, and a load request cannot bring a configuration for it' : undefined
  const both = definition.pipeline === undefined ? undefined : 'it has a model.ts and a pipeline: remove one of them'
  const reason = definition.reason ?? brought ?? both
  const { pipeline: _, ...own } = definition
  return { ...own, code, versions: [{ version, path: entry, folder }], ...(reason !== undefined && { reason }) }
}
