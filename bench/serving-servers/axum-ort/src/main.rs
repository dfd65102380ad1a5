//! `digits` as the Open Inference Protocol has it, on axum and ort, on one thread. Arguments: the port, the runtime's library, the model.
use axum::{extract::State, http::StatusCode, routing::post, Json, Router};
use ort::{inputs, session::Session, value::Tensor};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

#[derive(Deserialize)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    data: Vec<f32>,
}
#[derive(Deserialize)]
struct Request {
    inputs: Vec<Input>,
}
#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}
#[derive(Serialize)]
struct Output {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<i64>,
    data: Data,
}
#[derive(Serialize)]
struct Answer {
    model_name: &'static str,
    model_version: &'static str,
    outputs: Vec<Output>,
}

type Shared = Arc<Mutex<Session>>;

async fn infer(State(session): State<Shared>, Json(request): Json<Request>) -> Result<Json<Answer>, StatusCode> {
    let bad = |_| StatusCode::BAD_REQUEST;
    let input = request.inputs.into_iter().next().ok_or(StatusCode::BAD_REQUEST)?;
    if input.name != "image" || input.datatype != "FP32" {
        return Err(StatusCode::BAD_REQUEST);
    }
    let tensor = Tensor::from_array((input.shape, input.data)).map_err(bad)?;
    let mut session = session.lock().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let outputs = session.run(inputs!["image" => tensor]).map_err(bad)?;
    let (label_shape, label) = outputs["label"].try_extract_tensor::<i64>().map_err(bad)?;
    let (shape, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>().map_err(bad)?;
    Ok(Json(Answer {
        model_name: "digits",
        model_version: "1",
        outputs: vec![
            Output { name: "label", datatype: "INT64", shape: label_shape.to_vec(), data: Data::Integers(label.to_vec()) },
            Output { name: "probabilities", datatype: "FP32", shape: shape.to_vec(), data: Data::Floats(probabilities.to_vec()) },
        ],
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    ort::init_from(&arguments[2]).commit().expect("the runtime");
    let session = Session::builder()
        .and_then(|builder| builder.with_intra_threads(1))
        .and_then(|builder| builder.commit_from_file(&arguments[3]))
        .expect("the model");
    let app = Router::new().route("/v2/models/digits/infer", post(infer)).with_state(Arc::new(Mutex::new(session)));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", arguments[1])).await.expect("a port");
    axum::serve(listener, app).await.expect("to serve");
}
