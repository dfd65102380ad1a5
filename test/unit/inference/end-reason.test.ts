import { describe, expect, test } from 'bun:test'
import { endReason } from '../../../src/inference/runtime/load-reason.ts'

describe('why a worker ended', () => {
  test('is the error alone, without the source around it and without folders', () => {
    const text = `11 | require(\`../bin/\${process.platform}/onnxruntime_binding.node\`);
     ^
error: /opt/secret place/lib/libonnxruntime.so.1: cannot open /opt/other/file
 code: "ERR_DLOPEN_FAILED"

      at <anonymous> (/opt/vestal/node_modules/onnxruntime-node/dist/binding.js:11:1)`
    const reason = endReason(text)
    expect(reason).toEndWith('libonnxruntime.so.1: cannot open file')
    for (const part of ['/opt', 'require', 'binding.js', 'node_modules', '\n']) expect(reason).not.toContain(part)
  })

  test('is the first line where no error is named, cut short', () => {
    expect(endReason('it ended\nat /a/b')).toBe('it ended')
    expect(endReason('x'.repeat(1000))).toHaveLength(300)
    expect(endReason('')).toBe('')
  })
})
