//! axum with jsonwebtoken on one thread: the bench's protected route. Arguments: secret, permission, title, description. Prints its port.

use std::{collections::HashMap, env, sync::Arc};

use axum::{
    extract::State,
    http::{header::AUTHORIZATION, HeaderMap, StatusCode},
    routing::get,
    Json, Router,
};
use jsonwebtoken::{decode, Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Claims {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    permissions: Vec<String>,
    #[serde(default)]
    roles: HashMap<String, Vec<String>>,
}

#[derive(Serialize)]
struct Information {
    title: String,
    description: String,
    public: bool,
}

struct Plan {
    key: DecodingKey,
    validation: Validation,
    permission: String,
    title: String,
    description: String,
}

impl Plan {
    fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(Ok(header)) = headers.get(AUTHORIZATION).map(|value| value.to_str()) else { return false };
        let Some(token) = header.strip_prefix("Bearer ") else { return false };
        let Ok(token) = decode::<Claims>(token, &self.key, &self.validation) else { return false };
        let Data { permissions, roles } = token.claims.data;
        permissions.contains(&self.permission) || roles.values().any(|role| role.contains(&self.permission))
    }
}

async fn private(State(plan): State<Arc<Plan>>, headers: HeaderMap) -> Result<Json<Information>, StatusCode> {
    if !plan.allows(&headers) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    Ok(Json(Information { title: plan.title.clone(), description: plan.description.clone(), public: false }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = env::args().skip(1);
    let mut next = || arguments.next().expect("secret, permission, title and description");
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_nbf = true;
    let key = DecodingKey::from_secret(next().as_bytes());
    let plan = Plan { key, validation, permission: next(), title: next(), description: next() };
    let app = Router::new().route("/private/info/", get(private)).with_state(Arc::new(plan));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    axum::serve(listener, app).await.expect("to serve");
}
