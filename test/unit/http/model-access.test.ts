import { expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { findModel } from '../../../src/http/model-access.ts'

test('a name that the router could not decode is the name of no model', () => {
  const engine = { model: () => undefined } as unknown as Engine
  // The cast: Elysia gives null where its type says text.
  for (const name of [null as unknown as string, '', 'x'.repeat(500)]) {
    const find = () => findModel(engine, name)
    expect(find).toThrow(VestalError)
    expect(find).toThrow(expect.objectContaining({ code: 'MODEL_UNKNOWN' }))
  }
})
