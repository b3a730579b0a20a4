use wirestream::{Endpoint, NoError, Receiver, Session};

struct Problem;

async fn without_a_tuple(_: Session, (): (), _: Receiver<String>) -> Result<(), NoError> {
    Ok(())
}

async fn of_no_stream(_: Session, (): (), (_,): (Vec<String>,)) -> Result<(), NoError> {
    Ok(())
}

async fn failing_oddly(_: Session, (): (), (): ()) -> Result<(), Problem> {
    Err(Problem)
}

fn main() {
    drop(Endpoint::new("Example").unary("without_a_tuple", without_a_tuple));
    drop(Endpoint::new("Example").unary("of_no_stream", of_no_stream));
    drop(Endpoint::new("Example").unary("failing_oddly", failing_oddly));
}
