//! The one place that connects to the database.

use tokio_postgres::{Client, Config, Error, NoTls};

/// Connects, and drives the connection in a task that ends when the client is dropped.
pub async fn connect(config: &Config) -> Result<Client, Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // Whoever uses the client hears of it; this is for those who use it no more.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a database connection ended");
        }
    });
    Ok(client)
}
