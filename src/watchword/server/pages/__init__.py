"""What people see: pages that work without JavaScript and by keyboard."""
