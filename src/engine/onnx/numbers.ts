/** Field numbers of onnx.proto, by message and field. */
export const MODEL_GRAPH = 7
export const GRAPH_NODE = 1
export const GRAPH_INPUT = 11
export const GRAPH_OUTPUT = 12
export const NODE_OPERATOR = 4
export const NODE_ATTRIBUTE = 5
export const VALUE_NAME = 1
export const VALUE_TYPE = 2
