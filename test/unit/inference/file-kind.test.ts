import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cutOff, fileKind, HEAD_BYTES } from '../../../src/inference/onnx/file-kind.ts'
import { MODELS } from '../../support/server.ts'
import { identityModel } from '../../support/tiny-models.ts'

const latin = (text: string) => Buffer.from(text, 'latin1')
/** An entry of a zip archive, as its beginning is written. */
const zip = (...names: readonly string[]) =>
  latin(names.map((name) => `PK\x03\x04${'\0'.repeat(22)}${String.fromCharCode(name.length)}\0\0\0${name}data`).join(''))
const safetensors = (header: string) => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(16)])
}
const tar = latin(`${'model.onnx'.padEnd(257, '\0')}ustar\0`)

const CASES: readonly (readonly [name: string, head: Uint8Array, said: string])[] = [
  ['an empty file', Buffer.alloc(0), 'it is empty'],
  [
    'a Git LFS pointer',
    latin('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'),
    'it is a Git LFS pointer, which stands for the model; fetch the model itself with git lfs pull',
  ],
  [
    'an HTML page',
    latin('\n<!DOCTYPE html>\n<html lang="en">'),
    'it is an HTML page, such as one that asks to sign in; download the file itself',
  ],
  ['an HTML page with a comment', latin('<!-- saved from -->\n<html>'), 'it is an HTML page'],
  [
    'an answer of a store',
    latin('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'),
    'it is an XML text, such as the answer of a store',
  ],
  ['OpenVINO', latin('<?xml version="1.0"?>\n<net name="m" version="11">'), 'it is a model of OpenVINO'],
  ['PMML', latin('<?xml version="1.0"?>\n<PMML xmlns="x">'), 'it is a PMML model'],
  ['ORT format', latin('\x18\0\0\0ORTM\0\0\0\0'), 'it is a model in ORT format; name it model.ort'],
  ['TensorFlow Lite', latin('\x1c\0\0\0TFL3\x14\0'), 'it is a TensorFlow Lite model; convert it with tf2onnx'],
  ['GGUF', latin('GGUF\x03\0\0\0'), 'it is a GGUF file'],
  ['safetensors', safetensors('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'), 'it holds only weights (safetensors)'],
  ['safetensors with a header of 8 bytes', safetensors('{"a":{}}'), 'it holds only weights (safetensors)'],
  ['PyTorch', zip('archive/data.pkl', 'archive/data/0'), 'it is a PyTorch checkpoint; export the model with torch.onnx.export'],
  ['PyTorch of a name', zip('resnet18/data.pkl'), 'it is a PyTorch checkpoint'],
  ['PyTorch before 1.6', latin('\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.'), 'it is a PyTorch checkpoint'],
  ['npz', zip('x.npy'), 'it is a NumPy archive'],
  ['Keras', zip('metadata.json', 'config.json', 'model.weights.h5'), 'it is a Keras model'],
  ['a zip archive with a model', zip('model/model.onnx'), 'it is a zip archive with an ONNX model in it; unpack it'],
  ['a zip archive', zip('readme.txt'), 'it is a zip archive; unpack it'],
  ['gzip', latin('\x1f\x8b\x08\0'), 'it is compressed with gzip'],
  ['bzip2', latin('BZh91AY'), 'it is compressed with bzip2'],
  ['xz', latin('\xfd7zXZ\0'), 'it is compressed with xz'],
  ['Zstandard', latin('\x28\xb5\x2f\xfd'), 'it is compressed with Zstandard'],
  ['tar', tar, 'it is a tar archive'],
  ['HDF5', latin('\x89HDF\r\n\x1a\n\0'), 'it is an HDF5 file, as Keras writes models'],
  ['NumPy', latin('\x93NUMPY\x01\0'), 'it is a NumPy array'],
  ['TensorRT', latin('ptrt\0'), 'it is a TensorRT engine'],
  ['CatBoost', latin('CBM1\0'), 'it is a CatBoost model'],
  ['LightGBM', latin('tree\nversion=v4\nnum_class=1\n'), 'it is a LightGBM model; convert the model with onnxmltools'],
  ['XGBoost', latin('{"learner":{"attributes":{}}}'), 'it is an XGBoost model'],
  [
    'scikit-learn',
    latin('\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x18sklearn.ensemble._forest'),
    'it is a Python pickle, as scikit-learn models are saved; convert the model with skl2onnx',
  ],
  ['a pickle', latin('\x80\x05\x95\x10'), 'it is a Python pickle; convert'],
  ['joblib', latin('\x78\x9c\xec\xbd'), 'it is compressed with zlib, as joblib saves'],
  ['a SavedModel', latin('\x08\x01\x12\x90\x10\x0a\x20serving_default'), 'it is a TensorFlow SavedModel'],
  ['a frozen graph', latin('\x0a\x2e\x0a\x05input\x12\x0bPlaceholder'), 'it is a TensorFlow graph'],
  ['ONNX as text', latin('ir_version: 8\nproducer_name: "x"\n'), 'it is an ONNX model as text'],
  ['ONNX as JSON', latin('{"irVersion": "8"}'), 'it is an ONNX model as text'],
  [
    'a link that Git wrote as text',
    latin('../../blobs/4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393'),
    'it is a text file with the path of another file',
  ],
  ['JSON', latin('{"error":"Repository not found"}'), 'it is a JSON text, such as the answer of a server'],
  ['a text file', latin('Entry not found'), 'it is a text file, such as the answer of a server'],
  ['a text of UTF-8', Buffer.from('Accès refusé'), 'it is a text file'],
  ['zeros', Buffer.alloc(4096), 'it begins with only zeros'],
]

describe('what a file is that was to be a model', () => {
  for (const [name, head, said] of CASES) test(name, () => expect(fileKind(head)).toStartWith(said))

  test('is not said of a model, nor of bytes that could be one', () => {
    for (const name of ['iris', 'digits', 'reviews', 'simple']) {
      const model = readFileSync(join(MODELS, name, '1/model.onnx'))
      expect([
        name,
        fileKind(model.subarray(0, HEAD_BYTES)),
        cutOff(model.length, (at, length) => model.subarray(at, at + length)),
      ]).toEqual([name, undefined, undefined])
    }
    expect(fileKind(identityModel('FP32'))).toBeUndefined()
    expect(fileKind(latin('\x08\x07\x12\x07pytorch\x1a\x05'))).toBeUndefined()
    expect(fileKind(Buffer.from([8, 1, 0xff, 0xfe, 0]))).toBeUndefined()
  })

  test('is said quickly of a head that almost fits', () => {
    const begun = Bun.nanoseconds()
    for (const head of ['PK\x03\x04', '\x80\x04', '\x08\x01\x12', '\x0a', '<?xml ', '<!--', '{', 'a/'])
      fileKind(latin(head.padEnd(HEAD_BYTES, 'x')))
    expect(Bun.nanoseconds() - begun).toBeLessThan(5e9)
  })
})

describe('a model that is cut off', () => {
  const model = identityModel('FP32')
  const whereCut = (length: number) => cutOff(length, (at, count) => model.subarray(at, Math.min(length, at + count)))

  test('says how many bytes it lacks', () => {
    for (let length = 3; length < model.length; length += 1) {
      const said = whereCut(length)
      // Between two fields nothing is missing that the fields could tell.
      if (said === undefined) continue
      expect(said).toMatch(new RegExp(`^it is cut off: it has ${length} bytes, and \\d+ are needed at least; copy it again$`))
    }
    expect(whereCut(20)).toBe(`it is cut off: it has 20 bytes, and ${(model[3] ?? 0) + 4} are needed at least; copy it again`)
    expect(whereCut(model.length)).toBeUndefined()
  })

  test('is not said of other bytes', () => {
    expect(cutOff(4, () => Buffer.from([0xff, 0xff, 0xff, 0x0f]))).toBeUndefined()
    expect(cutOff(4, () => Buffer.from([0x7a, 0xff, 0xff, 0x0f]))).toBeUndefined()
  })
})
