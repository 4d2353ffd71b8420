"""A server that others wrote: llama.cpp's own, with a model of random weights made on the spot. Prints its address.

Needs `xllamacpp` and `gguf`. Run as a program, so that whatever happens inside it stays there.
"""

import sys
import threading
from typing import Any

CONTEXT = 8_192
WIDTH, HEADS, LAYERS = 32, 4, 2


def write_model(path: str) -> None:
    """A Llama of a few thousand random weights that speaks single bytes and letters: garbage, by design."""
    import gguf
    import numpy

    letters = ["\u2581", *map(chr, range(33, 127))]
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(letters)]
    model = gguf.GGUFWriter(path, "llama")
    model.add_context_length(CONTEXT)
    model.add_embedding_length(WIDTH)
    model.add_block_count(LAYERS)
    model.add_feed_forward_length(2 * WIDTH)
    model.add_head_count(HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_rope_dimension_count(WIDTH // HEADS)
    model.add_vocab_size(len(words))
    model.add_tokenizer_model("llama")
    model.add_token_list(words)
    model.add_token_scores([0.0] * len(words))
    model.add_token_types(kinds)
    model.add_bos_token_id(1)
    model.add_eos_token_id(2)
    model.add_unk_token_id(0)
    random = numpy.random.default_rng(7)

    def weights(*shape: int) -> Any:
        return random.normal(0, 0.5, shape).astype(numpy.float32)

    tensors = {"token_embd": weights(len(words), WIDTH), "output": weights(len(words), WIDTH)}
    norms = ["output_norm"]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        tensors |= {f"{block}attn_{part}": weights(WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        tensors |= {f"{block}ffn_{part}": weights(2 * WIDTH, WIDTH) for part in ("gate", "up")}
        tensors[f"{block}ffn_down"] = weights(WIDTH, 2 * WIDTH)
        norms += [f"{block}attn_norm", f"{block}ffn_norm"]
    for name, tensor in (tensors | {name: numpy.ones(WIDTH, numpy.float32) for name in norms}).items():
        model.add_tensor(f"{name}.weight", tensor)
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


def main(path: str) -> None:
    import xllamacpp

    write_model(path)
    options = xllamacpp.CommonParams()
    options.model.path = path
    options.n_ctx, options.n_parallel, options.cpuparams.n_threads = CONTEXT, 1, 1
    options.port, options.use_jinja, options.warmup, options.verbosity = 0, True, False, 0
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
