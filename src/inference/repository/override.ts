import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { VestalError } from '../../core/errors.ts'
import { createTemporaryFolder } from '../../platform/temporary-folder.ts'
import { TRITON_TEXTS } from '../../tensor/triton-texts.ts'
import type { LoadOptions } from '../engine.ts'
import type { PipelineDefinition } from '../pipelines/definition.ts'
import { readConfiguration } from './definition.ts'
import { isInnerPath } from './inner-path.ts'
import { type FoundModel, findModel, isModelName, modelIn, type RepositoryOptions } from './scan.ts'

/** Files that one load request may carry, and their bytes in all. */
const FILES_MAX = 64
const BYTES_MAX = 1024 * 1024 * 1024

const FILE = /^[1-9]\d{0,8}\/[^/]/

/** The pipeline of a load request, before its files are written; undefined where there is none, or one that cannot be read. */
export function pipelineBrought(
  name: string,
  { config, files }: LoadOptions,
  repository: RepositoryOptions,
): PipelineDefinition | undefined {
  if (files === undefined || files.size === 0) return findModel(name, repository, config)?.pipeline
  try {
    return config === undefined ? undefined : readConfiguration(config, name).pipeline
  } catch {
    // The load says what is wrong with it.
    return undefined
  }
}

/** The files of load requests, each request's in a folder of its own that only this user can read. */
export class Overrides {
  readonly #folders = new Map<string, string>()

  /**
   * For a request with files, the model that they make; for one with only a configuration, the folder with that.
   * @throws VestalError BODY_INVALID, naming the file and the rule
   */
  find(name: string, options: LoadOptions, repository: RepositoryOptions): FoundModel | undefined {
    const { config, files } = options
    if (files === undefined || files.size === 0) return findModel(name, repository, config)
    return isModelName(name) ? modelIn(this.#write(name, options), name, config) : undefined
  }

  /**
   * Writes the files of a request, and gives their folder.
   * @throws VestalError BODY_INVALID, naming the file and the rule
   */
  #write(name: string, { config, files = new Map() }: LoadOptions): string {
    const rejection = (what: string) => new VestalError('BODY_INVALID', { detail: `failed to load '${name}', ${what}` })
    if (config === undefined) {
      throw new VestalError('BODY_INVALID', { detail: `${TRITON_TEXTS.notPolled(name)}: ${TRITON_TEXTS.configMissing()}` })
    }
    if (files.size > FILES_MAX) throw rejection(`the request has more than ${FILES_MAX} files`)
    let bytes = 0
    for (const [path, content] of files) {
      const shown = JSON.stringify(`file:${path.slice(0, 100)}`)
      if (!isInnerPath(path) || !FILE.test(path)) {
        throw rejection(`${shown} must be <version>/<file name>, of plain names of at most 255 bytes`)
      }
      if (content.length === 0) throw rejection(`${shown} is empty`)
      bytes += content.length
    }
    if (bytes > BYTES_MAX) throw rejection(`the files of the request have more than ${BYTES_MAX} bytes`)
    const folder = createTemporaryFolder('model')
    this.#folders.set(folder, name)
    try {
      for (const [path, content] of files) {
        mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o700 })
        writeFileSync(join(folder, path), content, { mode: 0o600, flag: 'wx' })
      }
      return folder
    } catch {
      this.#remove(folder)
      throw rejection('its files cannot be written: a file and a folder have the same name, or there is no room')
    }
  }

  /** Takes the folders of a model away, but for those that its versions use. */
  sweep(name: string, used: ReadonlySet<string>): void {
    for (const [folder, owner] of this.#folders) if (owner === name && !used.has(folder)) this.#remove(folder)
  }

  removeAll(): void {
    for (const folder of this.#folders.keys()) this.#remove(folder)
  }

  #remove(folder: string): void {
    this.#folders.delete(folder)
    rmSync(folder, { recursive: true, force: true })
  }
}
