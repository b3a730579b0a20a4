use std::any::Any;
use std::sync::Arc;

/// What an application keeps with a session, one object of each type. There are few, so a list is
/// enough, which takes no memory before the first.
#[derive(Default)]
pub(super) struct Objects(Vec<Arc<dyn Any + Send + Sync>>);

impl Objects {
    fn place<T: Any>(&self) -> Option<usize> {
        self.0.iter().position(|object| (**object).is::<T>())
    }

    pub(super) fn set<T: Any + Send + Sync>(&mut self, object: Arc<T>) -> Option<Arc<T>> {
        match self.place::<T>() {
            Some(place) => std::mem::replace(&mut self.0[place], object).downcast().ok(),
            None => {
                self.0.push(object);
                None
            }
        }
    }

    pub(super) fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.0[self.place::<T>()?]).downcast().ok()
    }

    pub(super) fn remove<T: Any + Send + Sync>(&mut self) -> Option<Arc<T>> {
        let place = self.place::<T>()?;
        self.0.remove(place).downcast().ok()
    }

    /// All of them, in the order in which their types came.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<dyn Any + Send + Sync>> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
