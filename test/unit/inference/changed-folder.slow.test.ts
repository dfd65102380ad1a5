import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../../src/inference/create-engine.ts'
import { sentenceFolder, TOKENS, tokenizerJson, writeFolder } from '../../support/text-folders.ts'
import { until } from '../../support/until.ts'

test('a folder whose tokenizer or description changes is loaded again; one that cannot be used leaves what serves', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-changed-folder-'))
  const files = sentenceFolder()
  await writeFolder(join(folder, 'm'), files)
  const engine = await createEngine({ modelsDirectory: folder, modelControl: 'poll', pollMs: 50, warn: () => undefined })
  const task = () => engine.model('m')?.versions[0]?.task
  const put = (path: string, content: string) => Bun.write(join(folder, 'm', path), content)
  try {
    const first = task()?.text?.tokenizer.sha256
    expect(first).toMatch(/^[0-9a-f]{64}$/)
    await put(
      'tokenizer.json',
      tokenizerJson({
        model: { type: 'WordLevel', vocab: Object.fromEntries(TOKENS.map((token, id) => [token, id])), unk_token: '[MASK]' },
      }),
    )
    await until(() => task()?.text?.tokenizer.sha256 !== first)
    const second = task()?.text?.tokenizer.sha256

    await put('1_Pooling/config.json', '{"pooling_mode": "cls"}')
    await until(() => task()?.vector?.pooling[0] === 'cls')
    await put('sentence_bert_config.json', '{"max_seq_length": 7}')
    await until(() => task()?.text?.tokensMax === 7)

    await put('tokenizer.json', 'broken')
    await until(() => engine.troubles().length > 0)
    expect(engine.troubles()[0]).toContain('its tokenizer.json cannot be used')
    expect([engine.model('m')?.versions[0]?.state, task()?.text?.tokenizer.sha256]).toEqual(['ready', second])

    await put('tokenizer.json', tokenizerJson())
    await until(() => task()?.text?.tokenizer.sha256 === first)
    expect(engine.troubles()).toEqual([])
  } finally {
    await engine.stop()
    rmSync(folder, { recursive: true })
  }
})
