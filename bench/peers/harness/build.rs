use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let msg = "crate::peers::grpc::Msg";
    let codec = "tonic_prost::ProstCodec";
    let m = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(msg)
            .output_type(msg)
            .codec_path(codec)
    };
    let service = Service::builder()
        .name("Bench")
        .package("bench")
        .method(m("unary", "Unary").build())
        .method(m("push", "Push").server_streaming().build())
        .method(m("bidi", "Bidi").client_streaming().server_streaming().build())
        .build();
    Builder::new().compile(&[service]);
    println!("cargo:rerun-if-changed=build.rs");
}
