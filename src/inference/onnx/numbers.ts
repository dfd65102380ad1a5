/** Field numbers of onnx.proto, by message and field. */
export const MODEL_GRAPH = 7
export const GRAPH_NODE = 1
export const GRAPH_INPUT = 11
export const GRAPH_OUTPUT = 12
export const NODE_INPUT = 1
export const NODE_OUTPUT = 2
export const NODE_OPERATOR = 4
export const NODE_ATTRIBUTE = 5
export const NODE_DOMAIN = 7
export const VALUE_NAME = 1
export const VALUE_TYPE = 2
export const TYPE_TENSOR = 1
export const TYPE_SEQUENCE = 4
export const TYPE_MAP = 5
export const TYPE_OPTIONAL = 9
/** Of a sequence and of an optional. */
export const TYPE_ELEMENT = 1
