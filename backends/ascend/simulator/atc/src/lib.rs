//! A stand-in for ATC, the compiler of Huawei's CANN: reads an ONNX model and ATC's own flags, and writes a model that the
//! simulator of ACL executes.
