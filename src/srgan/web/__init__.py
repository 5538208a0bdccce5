"""The service: pictures over HTTP, and the page that is served with it."""
