"""The studio: a server on this machine with the page and the job API of the cloud, and its worker."""
