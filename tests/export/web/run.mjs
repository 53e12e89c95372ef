// Enlarges an image with an exported model, in WebAssembly: node run.mjs MODEL HEIGHT WIDTH INPUT OUTPUT
// INPUT and OUTPUT are files of float32 numbers, (3, H, W).
import { readFile, writeFile } from "node:fs/promises";
import * as ort from "onnxruntime-web/wasm";

const [model, height, width, input, output] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new Uint8Array(await readFile(model)), {
  executionProviders: ["wasm"],
});
const bytes = await readFile(input);
const pixels = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const image = new ort.Tensor("float32", pixels, [1, 3, Number(height), Number(width)]);
const begin = performance.now();
const { enlarged } = await session.run({ image });
console.log(JSON.stringify({ dims: enlarged.dims, seconds: (performance.now() - begin) / 1000 }));
await writeFile(output, new Uint8Array(enlarged.data.buffer, enlarged.data.byteOffset, enlarged.data.byteLength));
